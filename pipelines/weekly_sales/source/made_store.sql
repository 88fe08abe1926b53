-- Stores with blanks after their countries, and names of channels in small letters, too. The last one has no channel.
select
    401 + value as storeid,
    case
        when value = 39 then null
        when value % 10 = 9 then 'digital'
        else array_element(['Digital', 'Store', 'Partner'], value % 3 + 1)
    end as channel,
    rpad(array_element(['INDIA', 'CHINA', 'AUSTRIA', 'BELGIUM', 'DENMARK'], value % 5 + 1), 12, ' ') as country
from generate_series(0, 39)
