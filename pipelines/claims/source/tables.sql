-- The tables of the source as load.sh fills them: once they are complete they get their names, without _NEW.
create table TREATMENT_NEW (
    ID bigint not null primary key,
    STATUS varchar(20),
    TYPE varchar(30),
    DATE_CREATED datetime,
    DATE_MODIFIED datetime,
    DATE_SUBMITTED datetime,
    DATE_TREATMENT datetime,
    PROVIDER_ID bigint,
    PROGRAM_ID bigint
) engine = InnoDB default charset = utf8mb4;

create table CLAIM_NEW (
    ID bigint not null primary key,
    STATUS varchar(20),
    TYPE varchar(30),
    DATE_CREATED datetime,
    DATE_MODIFIED datetime,
    TREATMENT_ID bigint,
    PROGRAM_ID bigint,
    AMOUNT decimal(15,2),
    CURRENCY char(3)
) engine = InnoDB default charset = utf8mb4;

create table INVOICE_NEW (
    ID bigint not null primary key,
    STATUS varchar(20),
    DATE_CREATED datetime,
    TREATMENT_ID bigint
) engine = InnoDB default charset = utf8mb4;

create table INVOICE_ITEM_NEW (
    ID bigint not null primary key,
    STATUS varchar(20),
    DATE_CREATED datetime,
    INVOICE_ID bigint,
    PRODUCT_ID bigint,
    CURRENCY char(3),
    AMOUNT decimal(15,2)
) engine = InnoDB default charset = utf8mb4;
