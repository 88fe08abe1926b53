select sku, pieces, counted from count
