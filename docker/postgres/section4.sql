-- Grafana's user. What it may read is granted by the owner of the tables, see section4/make-reader.
\set password `cat /run/secrets/reader_password`
\set role_only yes
\i /etc/weir/reader.sql
