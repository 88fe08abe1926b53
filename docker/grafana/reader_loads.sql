-- Lets Grafana's read-only user, which reader.sql creates, see when loads were published: the panels and alert rules
-- about loads need it. Can be repeated.
grant usage on schema weir to grafana;
grant select on weir.applied to grafana;
