//! How strong the relation of a column to the target is.

use super::super::moments::Moments;

/// The rows of a group.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// Rows of each class of the target; empty if its mean is compared.
    pub(super) classes: Vec<u64>,
    pub(super) moments: Moments,
}

/// The correction is that of Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", 2013: a column without a
/// relation has about 0, however many values it has.
pub(super) fn cramers_v(cells: &[Cell]) -> f64 {
    let table: Vec<&Vec<u64>> =
        cells.iter().map(|cell| &cell.classes).filter(|classes| classes.iter().sum::<u64>() > 0).collect();
    let sum = |class: usize| table.iter().map(|classes| classes[class]).sum::<u64>() as f64;
    let sums: Vec<f64> = (0..table.first().map_or(0, |classes| classes.len())).map(sum).collect();
    let all: f64 = sums.iter().sum();
    let (rows, columns) = (table.len() as f64, sums.iter().filter(|sum| **sum > 0.0).count() as f64);
    if rows < 2.0 || columns < 2.0 || all < 2.0 {
        return 0.0;
    }
    let of_group = |classes: &&Vec<u64>| {
        let group: u64 = classes.iter().sum();
        let term = |(count, sum): (&u64, &f64)| match *sum > 0.0 {
            true => (*count as f64).powi(2) / (group as f64 * sum),
            false => 0.0,
        };
        classes.iter().zip(&sums).map(term).sum::<f64>()
    };
    let square = table.iter().map(of_group).sum::<f64>() - 1.0;
    let corrected = (square - (rows - 1.0) * (columns - 1.0) / (all - 1.0)).max(0.0);
    let less = |count: f64| count - (count - 1.0).powi(2) / (all - 1.0);
    let most = (less(rows).min(less(columns)) - 1.0).max(f64::EPSILON);
    (corrected / most).sqrt().min(1.0)
}

/// The square root of the share of the variance that is between the groups, adjusted for their number.
pub(super) fn correlation_ratio(cells: &[Cell]) -> f64 {
    let mut whole = Moments::default();
    cells.iter().for_each(|cell| whole.merge(&cell.moments));
    let groups = cells.iter().filter(|cell| cell.moments.count() > 0).count() as f64;
    let rows = whole.count() as f64;
    let within: f64 = cells.iter().map(|cell| cell.moments.squares()).sum();
    if rows <= groups || whole.squares() <= 0.0 {
        return 0.0;
    }
    (1.0 - within / (rows - groups) / (whole.squares() / (rows - 1.0))).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_classes(table: &[[u64; 2]]) -> f64 {
        let cell = |classes: &[u64; 2]| Cell { classes: classes.to_vec(), moments: Moments::default() };
        cramers_v(&table.iter().map(cell).collect::<Vec<_>>())
    }

    fn of_means(groups: &[&[f64]]) -> f64 {
        let cell = |values: &&[f64]| Cell { classes: vec![], moments: Moments::of(values) };
        correlation_ratio(&groups.iter().map(cell).collect::<Vec<_>>())
    }

    #[test]
    fn what_determines_the_target_has_1_and_what_says_nothing_0() {
        assert!((of_classes(&[[500, 0], [0, 500]]) - 1.0).abs() < 1e-3);
        assert_eq!(of_classes(&[[50, 150], [100, 300], [0, 0]]), 0.0);
        assert!((of_means(&[&[1.0; 9], &[2.0; 9]]) - 1.0).abs() < 1e-12);
        assert_eq!(of_means(&[&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0], &[]]), 0.0);
    }

    /// By hand: chi-squared / n is 0.36, less 1 / 99; of at most 1 - 1 / 99.
    #[test]
    fn a_table_of_four_cells_has_the_corrected_v() {
        let expected = ((0.36 - 1.0 / 99.0) / (1.0 - 1.0 / 99.0_f64)).sqrt();
        assert!((of_classes(&[[40, 10], [10, 40]]) - expected).abs() < 1e-12);
    }

    /// By hand: the squares within are 4 of 28, with 4 and 5 degrees of freedom.
    #[test]
    fn two_groups_have_the_adjusted_ratio() {
        let expected = (1.0 - 4.0 / 4.0 / (28.0 / 5.0_f64)).sqrt();
        assert!((of_means(&[&[1.0, 2.0, 3.0], &[5.0, 6.0, 7.0]]) - expected).abs() < 1e-12);
    }

    #[test]
    fn too_few_rows_have_no_relation() {
        assert_eq!(of_classes(&[]), 0.0);
        assert_eq!(of_classes(&[[1, 0]]), 0.0);
        assert_eq!(of_classes(&[[3, 0], [2, 0]]), 0.0);
        assert_eq!(of_means(&[&[1.0], &[2.0]]), 0.0);
    }
}
