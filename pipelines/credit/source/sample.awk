# Made-up loans of one hour: `awk -v rows=N -v hour=H -f sample.awk`. The same numbers give the same loans.

# A number from 0 to below n, by a generator that every awk computes alike.
function random(n) {
    seed = (seed * 16807) % 2147483647
    return seed % n
}

function count(most) {
    return random(4) ? 0 : random(most)
}

BEGIN {
    OFS = ","
    seed = 1 + (hour * 7919) % 2147483646
    for (skip = 0; skip < 8; skip++) random(2)
    print "", "SeriousDlqin2yrs", "RevolvingUtilizationOfUnsecuredLines", "age", \
        "NumberOfTime30-59DaysPastDueNotWorse", "DebtRatio", "MonthlyIncome", "NumberOfOpenCreditLinesAndLoans", \
        "NumberOfTimes90DaysLate", "NumberRealEstateLoansOrLines", "NumberOfTime60-89DaysPastDueNotWorse", "NumberOfDependents"
    for (row = 1; row <= rows; row++) {
        # Every tenth loan is the ninth of these of the hour before, as it is now.
        id = hour * rows + row
        if (hour > 0 && row % 10 == 0) id -= rows + 1
        serious = random(15) == 0
        utilization = sprintf("%.9f", random(1000000) / 700000)
        age = 21 + random(70)
        late = count(10)
        ratio = sprintf("%.9f", random(1000000) / 900000)
        income = random(5) ? 800 + random(20000) : "NA"
        lines = random(30)
        worse = count(5)
        estates = count(6)
        bad = count(8)
        dependents = random(30) ? random(5) : "NA"
        # Faults: what cannot be, codes in place of counts, and what cannot be read.
        if (row % 97 == 0) age = 0
        if (row % 131 == 0) utilization = "-0.5"
        if (row % 149 == 0) late = 98
        if (row % 173 == 0) serious = 2
        if (row % 211 == 0) income = "n/a"
        if (row % 307 == 0) id = ""
        print id, serious, utilization, age, late, ratio, income, lines, worse, estates, bad, dependents
    }
}
