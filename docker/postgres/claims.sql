-- Grafana's user, as in section 4. What it may read is granted by the owner of the tables, see section4/make-reader.
\ir section4.sql
