-- Loans, with the hour that their file is of.
select *, $window_start as window_start from raw_loan
