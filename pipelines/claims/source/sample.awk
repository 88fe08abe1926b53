# Made-up claims: writes treatments.csv, claims.csv, invoices.csv and invoice_items.csv into a folder, as an export of the
# source has them, with every fault that the task knows. The same ROWS give the same files.
#     awk -v rows=N -v folder=DIR -f sample.awk

# A number from 0 to below n: a linear congruential generator whose products are exact in a double.
function random(n) {
    state = (state * 16807) % 2147483647
    return state % n
}

# Whether something happens in so many of 1000 cases.
function in_1000(share) { return random(1000) < share }

# A list of words, each followed by how many of 1000 it is, for one_of.
function list(name, of,    words, n, i, at, share) {
    n = split(of, words, " ")
    for (i = 1; i < n; i += 2)
        for (share = words[i + 1]; share > 0; share--) word[name, at++] = words[i]
}

# One of the words of a list.
function one_of(name) { return word[name, random(1000)] }

# Seconds since 1970 as a time, by the calendar of days since 0000-03-01.
function time(seconds,    days, of_day, era, day, year, month) {
    days = int(seconds / 86400)
    of_day = seconds - days * 86400
    days += 719468
    era = int(days / 146097)
    day = days - era * 146097
    year = int((day - int(day / 1460) + int(day / 36524) - int(day / 146096)) / 365)
    day -= 365 * year + int(year / 4) - int(year / 100)
    month = int((5 * day + 2) / 153)
    day -= int((153 * month + 2) / 5) - 1
    month += month < 10 ? 3 : -9
    return sprintf("%04d-%02d-%02d %02d:%02d:%02d", era * 400 + year + (month <= 2), month, day, int(of_day / 3600),
        int(of_day / 60) % 60, of_day % 60)
}

# The time, or NULL in so many of 1000 cases.
function or_null(seconds, share) { return in_1000(share) ? "NULL" : time(seconds) }

BEGIN {
    state = 20191125
    treatments = folder "/treatments.csv"
    claims = folder "/claims.csv"
    invoices = folder "/invoices.csv"
    items = folder "/invoice_items.csv"
    print "ID,STATUS,TYPE,DATE_CREATED,DATE_MODIFIED,DATE_SUBMITTED,DATE_TREATMENT,PROVIDER_ID,PROGRAM_ID" >treatments
    print "ID,STATUS,TYPE,DATE_CREATED,DATE_MODIFIED,TREATMENT_ID,PROGRAM_ID,AMOUNT,CURRENCY" >claims
    print "ID,STATUS,DATE_CREATED,TREATMENT_ID" >invoices
    print "ID,STATUS,DATE_CREATED,INVOICE_ID,PRODUCT_ID,CURRENCY,AMOUNT" >items
    list("program", "40 870 577 105 578 19 36 6")
    list("treatment", "CLOSED 640 DELETED 190 OPEN 100 IN_PROGRESS 30 SUBMITTED 30 PREAUTH 10")
    list("kind", "OUTPATIENT 800 INPATIENT 150 DENTAL 50")
    list("claim", "Approved 560 Draft 250 Deleted 110 Rejected 40 Submitted 30 PartiallyRejected 5 ReSubmitted 5")
    list("benefit", "Benefit 985 Voucher 15")
    list("currency", "KES 990 USD 10")
    list("invoice", "SUBMITTED 490 FINAL 340 DRAFT 160 RESUBMITTED 5 REOPENED 5")
    list("item", "ACTIVE 530 SUBMITTED 390 DELETED 60 APPROVED 19 REPLACED 1")
    # Four years from 2016 on, in the order of the ids.
    first = 1451606400
    last = 1577836799
    for (n = 1; n <= rows; n++) {
        # The rare faults are in the first hundred rows, so that a small sample has them, too, and then at random.
        fault = n <= 100 ? n : random(20000)
        treatment = 10000 + n
        created = first + int((last - first) * (n / rows)) - random(86400)
        if (created < first) created = first
        submitted = created + random(864000)
        modified = submitted + random(864000)
        program = one_of("program")
        write_treatment()
        write_claims()
        write_invoices()
    }
    exit
}

function write_treatment(    status) {
    status = one_of("treatment")
    if (fault == 11) {
        # Nothing but the key.
        print treatment ",NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL" >treatments
    } else if (n > rows * 0.8 || fault == 12) {
        # A newer row, whose values are where they belong.
        print treatment "," status "," one_of("kind") "," time(created) "," \
            or_null(modified, 40) "," or_null(submitted, 330) "," or_null(created, 7) "," 1 + random(900) "," \
            (in_1000(20) ? "NULL" : program) >treatments
    } else {
        # Shifted one column to the left, from TYPE on.
        print treatment "," status "," time(created) "," or_null(modified, 40) "," or_null(submitted, 330) "," \
            or_null(created, 7) ",NULL," program ",NULL" >treatments
    }
}

function write_claim(of,    amount) {
    claim++
    amount = in_1000(60) ? 0 : in_1000(10) ? -50 * (1 + random(40)) : 50 * (1 + random(60)) + random(4) * 0.25
    # A few claims are of another size.
    if (in_1000(2)) amount *= 40
    print 2500000 + claim "," \
        one_of("claim") "," \
        one_of("benefit") "," or_null(created + random(3600), 330) "," or_null(modified + random(86400), 50) \
        "," of "," (in_1000(10) ? one_of("program") : program) "," sprintf("%.2f", amount) "," \
        one_of("currency") >claims
}

# Most treatments have one claim, some none or several.
function write_claims(    several) {
    if (fault == 21) {
        claim++
        print 2500000 + claim ",NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL" >claims
    }
    if (fault == 22) write_claim(900000000 + n)
    if (in_1000(15)) return
    several = fault == 23 ? 3 : in_1000(12) ? 2 : 1
    while (several--) write_claim(treatment)
}

function write_invoices(    several) {
    if (fault == 31) print 500000000 + n ",NULL,NULL,NULL" >invoices
    if (in_1000(205)) return
    several = in_1000(2) ? 2 : 1
    while (several--) {
        invoice++
        print 10000 + invoice "," one_of("invoice") "," \
            or_null(created + random(3600), 400) "," treatment >invoices
        write_items()
    }
}

# Four of five products have a negative id.
function write_items(    several) {
    several = random(5)
    if (fault == 41) {
        item++
        print 8500000 + item ",NULL,NULL,NULL,NULL,NULL,NULL" >items
    }
    while (several--) {
        item++
        print 8500000 + item "," one_of("item") "," \
            or_null(created + random(3600), 340) "," 10000 + invoice "," (in_1000(800) ? -1 : 1) * (1 + random(30000)) \
            ",KES," (in_1000(240) ? "0.00" : sprintf("%.2f", 5 * (1 + random(400)) + random(2) * 0.5)) >items
    }
}
