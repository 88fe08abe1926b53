-- Lets Grafana's read-only user, which docker/grafana/reader.sql creates with `role_only`, read the tables that the dashboard
-- shows. The owner of the tables runs it. Can be repeated.
grant usage on schema public to grafana;
grant select on treatment, claim, invoice, invoice_item, claims_by_status, invoices_by_claim_status, treatment_rejected,
    claim_rejected, invoice_rejected, invoice_item_rejected to grafana;
