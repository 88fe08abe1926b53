//! The documents of groups while their rows come in.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, LargeBinaryBuilder, StringViewBuilder, StructArray,
};
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalSortExpr;

use super::items::{Item, items};
use super::result_fields;
use crate::function::encode::json::{Value, text};
use crate::function::encode::{Column, InvalidValue, Texts, invalid_value};
use crate::function::json::values::what;

/// Why a row cannot be an item: the one byte of its key.
const NULL_KEY: u8 = b'k';
const NOT_FINITE: u8 = b'f';
const YEAR: u8 = b'y';
const NANOSECONDS: u8 = b'n';

/// The items of each group.
pub(super) struct Groups {
    function: String,
    is_object: bool,
    are_documents: bool,
    is_distinct: bool,
    args: usize,
    order: Option<RowConverter>,
    groups: Vec<Vec<u8>>,
    /// The bytes that are allocated for them.
    size: usize,
    /// The JSON of an item.
    json: Vec<u8>,
}

impl Groups {
    pub(super) fn new(function: String, is_object: bool, are_documents: bool, args: &AccumulatorArgs) -> Result<Self> {
        let field =
            |sort: &PhysicalSortExpr| Ok(SortField::new_with_options(sort.expr.data_type(args.schema)?, sort.options));
        let fields = args.order_bys.iter().map(field).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            function,
            is_object,
            are_documents,
            is_distinct: args.is_distinct,
            args: args.exprs.len(),
            order: (!fields.is_empty()).then(|| RowConverter::new(fields)).transpose()?,
            groups: Vec::new(),
            size: 0,
            json: Vec::new(),
        })
    }

    /// The rows of a batch, to be written as items.
    fn batch(&self, values: &[ArrayRef]) -> Result<Batch> {
        let (args, order) = values.split_at_checked(self.args).unwrap_or((values, &[]));
        let (key, value) = match args {
            [key, value] if self.is_object => (Some(key), value),
            [value] if !self.is_object => (None, value),
            _ => return internal_err!("{} was given {} columns", self.function, args.len()),
        };
        let invalid = args.iter().any(|values| invalid_value(values, None, true).is_some());
        Ok(Batch {
            key: key.map(Column::new).transpose()?,
            value: Value::new(value, self.are_documents)?,
            order: self.order.as_ref().map(|of| of.convert_columns(order)).transpose()?,
            suspects: invalid.then(|| args.to_vec()),
        })
    }

    fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups.max(self.groups.len()), Vec::new);
    }

    /// Adds to the items of a group.
    #[inline]
    fn add(&mut self, group: usize, push: impl FnOnce(&mut Vec<u8>)) {
        let items = &mut self.groups[group];
        let before = items.capacity();
        push(items);
        self.size += items.capacity() - before;
    }

    fn take(&mut self, emit: EmitTo) -> Vec<Vec<u8>> {
        let taken = emit.take_needed(&mut self.groups);
        self.size -= taken.iter().map(Vec::capacity).sum::<usize>();
        taken
    }

    /// Writes the document of a group, or says what is wrong.
    fn document(&self, group: &[u8], out: &mut Texts) -> Result<(), String> {
        let mut all: Vec<Item> = items(group).collect();
        if let Some(wrong) = all.iter().find(|item| item.value.is_empty()) {
            return Err(match wrong.key {
                [NOT_FINITE] => what(&self.function, InvalidValue::NotFinite),
                [YEAR] => what(&self.function, InvalidValue::Year),
                [NANOSECONDS] => what(&self.function, InvalidValue::Nanoseconds),
                _ => format!("a key of {} is null", self.function),
            });
        }
        if self.order.is_some() {
            all.sort_by_key(|item| item.order);
        }
        if self.is_distinct {
            let mut seen = HashSet::with_capacity_and_hasher(all.len(), ahash::RandomState::new());
            all.retain(|item| seen.insert(item.value));
        }
        if self.is_object {
            let mut seen = HashSet::with_capacity_and_hasher(all.len(), ahash::RandomState::new());
            if !all.iter().all(|item| seen.insert(item.key)) {
                return Err(format!("a key of {} is repeated", self.function));
            }
        }
        out.push(|out| {
            out.push(if self.is_object { b'{' } else { b'[' });
            for (at, item) in all.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                if self.is_object {
                    out.extend_from_slice(item.key);
                    out.push(b':');
                }
                out.extend_from_slice(item.value);
            }
            out.push(if self.is_object { b'}' } else { b']' });
        });
        Ok(())
    }
}

/// The rows of a batch.
struct Batch {
    key: Option<Column>,
    value: Value,
    order: Option<Rows>,
    /// The columns, if one has a value that JSON cannot hold.
    suspects: Option<Vec<ArrayRef>>,
}

impl Batch {
    /// Appends the item of a row; `json` is overwritten.
    #[inline]
    fn push(&self, row: usize, json: &mut Vec<u8>, out: &mut Vec<u8>) {
        let order = self.order.as_ref().map(|rows| rows.row(row));
        let order = order.as_ref().map_or(&[][..], AsRef::as_ref);
        if let Some(why) = self.why_not(row) {
            return Item { order, key: &[why], value: &[] }.push(out);
        }
        json.clear();
        if let Some(key) = &self.key {
            text(key.text(row).unwrap_or_default().as_bytes(), json);
        }
        let end = json.len();
        self.value.write(row, json);
        let (key, value) = json.split_at(end);
        Item { order, key, value }.push(out);
    }

    /// Why a row cannot be an item.
    #[inline]
    fn why_not(&self, row: usize) -> Option<u8> {
        if self.key.as_ref().is_some_and(|key| key.text(row).is_none()) {
            return Some(NULL_KEY);
        }
        let suspects = self.suspects.as_ref()?;
        suspects.iter().find_map(|values| invalid_value(&values.slice(row, 1), None, true)).map(|invalid| match invalid
        {
            InvalidValue::NotFinite => NOT_FINITE,
            InvalidValue::Year => YEAR,
            InvalidValue::Nanoseconds => NANOSECONDS,
        })
    }
}

fn is_chosen(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.resize(total);
        let batch = self.batch(values)?;
        let mut json = std::mem::take(&mut self.json);
        for (row, group) in groups.iter().enumerate().filter(|(row, _)| is_chosen(filter, *row)) {
            self.add(*group, |items| batch.push(row, &mut json, items));
        }
        self.json = json;
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.resize(total);
        for (state, group) in states[0].as_binary::<i64>().iter().zip(groups) {
            if let Some(state) = state {
                self.add(*group, |items| items.extend_from_slice(state));
            }
        }
        Ok(())
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.take(emit);
        let mut states = LargeBinaryBuilder::with_capacity(groups.len(), groups.iter().map(Vec::len).sum());
        groups.into_iter().for_each(|items| states.append_value(items));
        Ok(vec![Arc::new(states.finish())])
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let groups = self.take(emit);
        let mut documents = Texts::with_capacity(groups.len());
        let mut problems = StringViewBuilder::with_capacity(groups.len());
        // What a group has kept is freed once its document is written.
        for group in groups {
            let problem = match group.is_empty() {
                true => Err(None),
                false => self.document(&group, &mut documents).map_err(Some),
            };
            if problem.is_err() {
                documents.push_null();
            }
            problems.append_option(problem.err().flatten());
        }
        let columns: Vec<ArrayRef> = vec![Arc::new(documents.finish()?), Arc::new(problems.finish())];
        Ok(Arc::new(StructArray::try_new(result_fields(), columns, None)?))
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let mut states = LargeBinaryBuilder::with_capacity(rows, rows * 16);
        let batch = self.batch(values)?;
        let (mut json, mut item) = (Vec::new(), Vec::new());
        for row in 0..rows {
            item.clear();
            if is_chosen(filter, row) {
                batch.push(row, &mut json, &mut item);
            }
            states.append_value(&item);
        }
        Ok(vec![Arc::new(states.finish())])
    }

    fn size(&self) -> usize {
        self.size + self.groups.capacity() * size_of::<Vec<u8>>() + self.json.capacity()
    }
}

/// The items of all rows.
pub(super) struct OneGroup(pub(super) Groups);

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |values| values.len());
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let parts = states.first().map_or(0, |states| states.len());
        GroupsAccumulator::merge_batch(&mut self.0, states, &vec![0; parts], 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.resize(1);
        let state = GroupsAccumulator::state(&mut self.0, EmitTo::All)?;
        state.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.resize(1);
        ScalarValue::try_from_array(&GroupsAccumulator::evaluate(&mut self.0, EmitTo::All)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + GroupsAccumulator::size(&self.0)
    }
}

impl fmt::Debug for OneGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OneGroup({})", self.0.function)
    }
}
