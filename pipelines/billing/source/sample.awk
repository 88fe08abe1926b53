# Made-up deliveries of a clinic: writes patients_DATE.csv, providers_DATE.csv and claims_DATE.csv of several days into a
# folder, with every fault that the tasks know, and revisions of earlier records. The same numbers give the same files, and
# more days leave the earlier ones as they are.
#     awk -v days=N -v skip=N -v patients=N -v from=2026-11-01 -v broken= -v folder=DIR -f sample.awk

# A number from 0 to below n: a linear congruential generator whose products are exact in a double.
function random(n) {
    state = (state * 16807) % 2147483647
    return state % n
}

# One of the words of a text.
function one_of(text,    words) { return words[1 + random(split(text, words, " "))] }

# The number of a day, by the calendar of days since 0000-03-01.
function day_of(y, m, d) {
    if (m <= 2) y--
    m += m > 2 ? -3 : 9
    return 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m + 2) / 5) + d - 1
}

# Sets year, month and day.
function split_day(n,    era, of_era) {
    era = int(n / 146097)
    of_era = n - era * 146097
    year = int((of_era - int(of_era / 1460) + int(of_era / 36524) - int(of_era / 146096)) / 365)
    day = of_era - (365 * year + int(year / 4) - int(year / 100))
    month = int((5 * day + 2) / 153)
    day -= int((153 * month + 2) / 5) - 1
    month += month < 10 ? 3 : -9
    year += era * 400 + (month <= 2)
}

# 11/1/2026, and here and there 11/01/2026.
function written(n) {
    split_day(n)
    return sprintf(random(5) ? "%d/%d/%04d" : "%02d/%02d/%04d", month, day, year)
}

function iso(n) {
    split_day(n)
    return sprintf("%04d-%02d-%02d", year, month, day)
}

# A time of that day, from an hour on.
function moment(n, hour) {
    return written(n) " " sprintf("%d:%02d:%02d", hour + random(4), random(60), random(60))
}

function name(    head, tail) {
    head = one_of("Quill Thorn Wether Ash Bramble Cray Fenn Glen Hazel Marl Oaken Pell Rook Sedge Tarn Wold")
    tail = one_of("acre brook combe dale field garth hurst leigh mere ridge stead thwaite ward wick worth wright")
    return head tail
}

function digits(n,    text) {
    while (n--) text = text random(10)
    return text
}

# A National Provider Identifier with its check digit, by Luhn over the prefix 80840.
function provider_number(n,    base, sum, at, digit) {
    base = sprintf("1%08d", 20000000 + n * 37)
    sum = 24
    for (at = 1; at <= 9; at++) {
        digit = substr(base, at, 1)
        if (at % 2) {
            digit *= 2
            if (digit > 9) digit -= 9
        }
        sum += digit
    }
    return base (10 - sum % 10) % 10
}

# Patients -----------------------------------------------------------------------------------------

function new_patient(n) {
    first_name[n] = one_of("Ann Bob Cid Dora Eve Fay Gus Hal Ida Joe Kay Lou Mae Ned Ora Pat Ray Sue Tom Una")
    born[n] = today - 7000 - random(26000)
    sex[n] = one_of("F F F M M M X")
    ssn[n] = random(12) ? 900 + random(100) "-" digits(2) "-" sprintf("%04d", n % 10000) : ""
    member[n] = "MBR-" sprintf("%06d", n) "-" digits(3)
    registered[n] = today - random(3000)
    contact[n] = random(3) ? name() ", " one_of("Ann Bob Cid Dora Eve") : ""
    move_patient(n)
}

# What a revision changes.
function move_patient(n) {
    # Not in one expression: awks differ in whether an assignment makes its element before or after the value.
    if (!(n in last_name) || !random(4)) last_name[n] = name()
    phone[n] = "555-" digits(3) "-" digits(4)
    mail[n] = random(9) ? tolower(first_name[n] "." last_name[n]) n "@example.org" : ""
    address[n] = 1 + random(900) " " name() " " one_of("Street Avenue Road Lane")
    if (random(2)) address[n] = address[n] ", Apt " 1 + random(40)
    zip[n] = sprintf("%05d", 1000 + random(90000))
    us_state[n] = one_of("NY NJ CT PA MA VT NH ME")
}

function patient_id(n) { return sprintf("PT-%06d", n) }

# `at` is the time of the revision.
function patient_record(n, id, birth, at) {
    return id "," first_name[n] "," last_name[n] "," birth "," sex[n] "," ssn[n] "," member[n] "," phone[n] "," mail[n] "," \
        quoted(address[n]) "," zip[n] "," us_state[n] "," quoted(contact[n]) "," written(registered[n]) "," at
}

function quoted(text) { return text ~ /^[^,]*, rear$/ ? text : "\"" text "\"" }

function write_patient(n, at) {
    print patient_record(n, patient_id(n), written(born[n]), at) >out
}

# After 14 good records one with a fault.
function count_patient() {
    if (++good_patients % 14 == 0) write_patient_fault(faulty_patients++ % 13)
}

# The record of a patient of its own, with a fault.
function write_patient_fault(fault,    n, id, birth, at, record) {
    if (fault == 10) {
        # Two revisions in one delivery, the newer one first.
        n = 1 + random(all_patients)
        move_patient(n)
        write_patient(n, moment(today, 20))
        move_patient(n)
        write_patient(n, moment(today, 2))
        return
    }
    n = 800000 + faulty_patients
    new_patient(n)
    id = patient_id(n)
    birth = written(born[n])
    at = moment(today, 8)
    if (fault == 0) id = ""
    if (fault == 1) birth = iso(born[n])
    if (fault == 2) birth = written(today + 400)
    if (fault == 3) sex[n] = "unknown"
    if (fault == 4) ssn[n] = "900 11 " sprintf("%04d", n % 10000)
    if (fault == 5) mail[n] = last_name[n] " at example.org"
    if (fault == 6) at = moment(today + 30, 8)
    if (fault == 7) at = ""
    # A comma without quotes.
    if (fault == 8) address[n] = 1 + random(900) " " name() " Street, rear"
    if (fault == 11) last_name[n] = ""
    if (fault == 12) us_state[n] = "New York"
    record = patient_record(n, id, birth, at)
    print record >out
    # The same record again.
    if (fault == 9) print record >out
}

function write_patients(    n, more, before) {
    before = all_patients
    out = folder "/patients_" iso(today) ".csv"
    open("patient_id,first_name,last_name,date_of_birth,sex,ssn,insurance_number,phone,email,address,zip_code,state," \
        "emergency_contact,registered_on,updated_at")
    more = nth == 0 ? patients : int(patients / 20)
    while (more-- > 0) {
        new_patient(++all_patients)
        write_patient(all_patients, moment(today, 8))
        count_patient()
    }
    for (more = nth == 0 ? 0 : int(patients / 5); more > 0; more--) {
        n = 1 + random(before)
        if (moved[n] == nth) continue
        moved[n] = nth
        move_patient(n)
        # A few revisions are older than what was delivered before.
        write_patient(n, moment(random(8) ? today : first - 20, 8))
        count_patient()
    }
    close(out)
}

# Providers ----------------------------------------------------------------------------------------

function new_provider(n) {
    practice[n] = one_of("Lakeside Harborview Northgate Maplewood Hillcrest Eastbank") " " one_of("Clinic Practice Group") " " n
    specialty[n] = one_of("CARD DERM ENDO FAMP FAMP GAST INTM INTM NEUR OBGY ORTH PEDI PSYC RADI SURG")
    tax_id[n] = digits(2) "-" sprintf("%07d", n)
    contract_from[n] = written(today - 100 - random(2000))
    contract_until[n] = random(3) ? "" : written(today + 100 + random(900))
    change_provider(n)
}

# What a revision changes.
function change_provider(n) {
    account[n] = "ACCT-" digits(10)
    practice_phone[n] = "555-01" digits(1) "-" digits(4)
    changed_at[n] = moment(today, 8)
}

function write_provider(n, npi) {
    print npi "," practice[n] "," specialty[n] "," tax_id[n] "," account[n] "," practice_phone[n] "," \
        contract_from[n] "," contract_until[n] "," changed_at[n] >out
}

# After 14 good records one with a fault.
function count_provider() {
    if (++good_providers % 14 == 0) write_provider_fault(faulty_providers++ % 10)
}

# The record of a provider of its own, with a fault.
function write_provider_fault(fault,    n, npi) {
    n = 100000 + faulty_providers
    new_provider(n)
    npi = provider_number(n)
    if (fault == 0) npi = substr(npi, 1, 9) (substr(npi, 10) + 1) % 10
    if (fault == 1) specialty[n] = "DENT"
    if (fault == 2) contract_until[n] = written(today - 4000)
    if (fault == 3) practice[n] = ""
    if (fault == 4) npi = ""
    if (fault == 5) contract_from[n] = "2/30/2020"
    if (fault == 6) changed_at[n] = moment(today + 30, 8)
    if (fault == 7) tax_id[n] = "EIN " digits(7)
    if (fault == 8) changed_at[n] = ""
    write_provider(n, npi)
    # The same record again.
    if (fault == 9) write_provider(n, npi)
}

function write_providers(    n) {
    out = folder "/providers_" iso(today) ".csv"
    open("npi,name,specialty_code,tax_id,bank_account,phone,contract_from,contract_until,updated_at")
    known_providers = all_providers
    all_providers += nth == 0 ? (patients < 1000 ? 100 : int(patients / 10)) : 2
    for (n = 1; n <= all_providers; n++) {
        if (n > known_providers) new_provider(n)
        else if (random(3)) continue
        else change_provider(n)
        write_provider(n, provider_number(n))
        count_provider()
    }
    close(out)
}

# Claims -------------------------------------------------------------------------------------------

function new_claim(n) {
    patient[n] = 1 + random(all_patients)
    provider[n] = 1 + random(all_providers)
    visit[n] = one_of("OFFICE OFFICE OFFICE TELEHEALTH OUTPATIENT INPATIENT EMERGENCY")
    # The first delivery has those of two months.
    service[n] = today - random(nth == 0 ? 60 : 3)
    procedure[n] = one_of("99213 99214 99203 93000 80053 71046 97110 90834 36415 20610")
    diagnosis[n] = one_of("E11.65 J45.909 M54.50 F32.89 K21.00 N39.490 S93.401A L20.89 H52.223 G43.909")
    coverage[n] = one_of("100 100 50 50 0")
    amount[n] = 20 + random(1500) "." sprintf("%02d", random(100))
    status[n] = "OPEN"
    billed[n] = ""
}

# The next state of a claim.
function bill_claim(n) {
    if (status[n] == "OPEN" && !random(20)) status[n] = "VOID"
    else if (status[n] == "OPEN") {
        status[n] = "BILLED"
        billed[n] = today
    } else if (status[n] == "BILLED") status[n] = random(6) ? "PAID" : "DENIED"
}

function claim_id(n) { return sprintf("CL-%07d", n) }

function date_or_text(value) { return value ~ /^[0-9]+$/ ? written(value) : value }

# The key, the patient and the provider are given, the other fields are those of the claim.
function claim_record(n, id, patient_of, npi, at) {
    return id "," patient_of "," npi "," visit[n] "," date_or_text(service[n]) "," procedure[n] "," diagnosis[n] "," \
        coverage[n] "," amount[n] ",USD," status[n] "," date_or_text(billed[n]) "," at
}

function write_claim(n, at) {
    print claim_record(n, claim_id(n), patient_id(patient[n]), provider_number(provider[n]), at) >out
}

# After 14 good records one with a fault.
function count_claim() {
    if (++good_claims % 14 == 0) write_claim_fault(faulty_claims++ % 24)
}

function write_claim_fault(fault,    n, id, patient_of, npi, at, record) {
    n = 8000000 + faulty_claims
    new_claim(n)
    id = claim_id(n)
    patient_of = patient_id(patient[n])
    npi = provider_number(provider[n])
    at = moment(today, 8)
    if (fault == 0) id = ""
    if (fault == 1) npi = provider_number(400000 + n % 1000)
    if (fault == 2) patient_of = patient_id(900000 + faulty_claims)
    if (fault == 3) amount[n] = "-" amount[n]
    if (fault == 4) service[n] = today + 40
    if (fault == 5) {
        status[n] = "BILLED"
        billed[n] = service[n] - 2
    }
    if (fault == 6) billed[n] = today
    if (fault == 7) status[n] = "PAID"
    if (fault == 8) coverage[n] = 75
    if (fault == 9) coverage[n] = "full"
    if (fault == 10) visit[n] = "HOUSE CALL"
    if (fault == 11) status[n] = "PENDING"
    if (fault == 12) amount[n] = "$120"
    if (fault == 13) diagnosis[n] = "unclear-" n
    if (fault == 16) service[n] = iso(service[n])
    if (fault == 17) service[n] = ""
    if (fault == 18) patient_of = ""
    if (fault == 19) amount[n] = ""
    if (fault == 20) at = moment(today + 30, 8)
    if (fault == 21) {
        status[n] = "BILLED"
        billed[n] = today + 40
    }
    if (fault == 22) status[n] = ""
    if (fault == 23) at = ""
    if (fault == 15) {
        # Two revisions in one delivery, the newer one first.
        status[n] = "BILLED"
        billed[n] = today
        write_claim(n, moment(today, 20))
        status[n] = "OPEN"
        billed[n] = ""
        write_claim(n, moment(today, 2))
        return
    }
    record = claim_record(n, id, patient_of, npi, at)
    print record >out
    # The same record again.
    if (fault == 14) print record >out
}

function write_claims(    n, more, before) {
    before = all_claims
    out = folder "/claims_" iso(today) ".csv"
    open("claim_id,patient_id,npi,visit_type,service_date,procedure_code,diagnosis_code,coverage_type,amount,currency," \
        "status,billed_on,updated_at")
    for (more = nth == 0 ? patients : int(patients / 2); more > 0; more--) {
        new_claim(++all_claims)
        if (is_broken()) amount[all_claims] = "-" amount[all_claims]
        write_claim(all_claims, moment(today, 8))
        sub(/^-/, "", amount[all_claims])
        count_claim()
    }
    for (more = nth == 0 ? 0 : int(patients / 2); more > 0; more--) {
        n = 1 + random(before)
        if (revised[n] == nth) continue
        revised[n] = nth
        bill_claim(n)
        write_claim(n, moment(random(12) ? today : first - 20, 8))
        count_claim()
    }
    close(out)
}

# Whether the claims of the day have the sign of refunds: the last day, if that was asked for.
function is_broken() { return broken != "" && nth == days - 1 }

# Begins a file. Of days that are left out nothing is written.
function open(header) {
    if (nth < skip) out = "/dev/null"
    print header >out
}

BEGIN {
    state = 20261101
    split(from, part, "-")
    first = day_of(part[1], part[2], part[3])
    for (nth = 0; nth < days; nth++) {
        today = first + nth
        write_patients()
        write_providers()
        write_claims()
    }
    exit
}
