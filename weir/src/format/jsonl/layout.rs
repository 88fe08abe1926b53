//! The keys of objects that are read, and the columns to which their values go.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::format::columns::{Column, Declared};
use crate::format::names::plain;
use crate::task::ColumnFrom;

/// The mapping of the keys of an object.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// All keys that are read, those of an object next to each other.
    keys: Arc<[Key]>,
    /// The keys of each object; the first one is the record.
    objects: Arc<[Object]>,
    /// The column of each key among those that are read.
    targets: Vec<Option<usize>>,
    pub(super) ignore_unknown: bool,
    /// Whether blanks around keys and their case do not matter.
    are_loose: bool,
}

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    name: String,
    /// The declared column that has its value.
    pub(super) column: Option<usize>,
    /// The object that its value is, if a column is below it, and why a row is rejected in which it is none.
    pub(super) object: Option<(usize, String)>,
}

/// The keys of an object.
#[derive(Debug, Default)]
struct Object {
    keys: Range<usize>,
    /// From a key to its index among all.
    places: HashMap<String, usize>,
}

/// A column, and the keys that lead to it from an object.
struct Below<'a> {
    column: usize,
    name: &'a str,
    keys: Vec<&'a str>,
    /// Other names of the last key.
    further: &'a [String],
}

impl Layout {
    pub(super) fn new(declared: &Declared) -> Self {
        let of_columns = declared.columns.iter().enumerate().filter(|(_, column)| column.from == ColumnFrom::Column);
        let below = of_columns.map(|(index, column)| Below {
            column: index,
            name: &column.name,
            keys: column.keys().collect(),
            further: &column.other_headers,
        });
        let (mut keys, mut objects) = (Vec::new(), vec![Object::default()]);
        let mut open = vec![(0, below.collect::<Vec<_>>())];
        while let Some((object, below)) = open.pop() {
            open.extend(Self::add(&mut keys, &mut objects, object, below, declared.names_are_loose));
        }
        Self {
            targets: keys.iter().map(|key: &Key| key.column).collect(),
            keys: keys.into(),
            objects: objects.into(),
            ignore_unknown: declared.ignore_unknown,
            are_loose: declared.names_are_loose,
        }
    }

    /// Adds the keys of an object; returns the objects below it.
    fn add<'a>(
        keys: &mut Vec<Key>,
        objects: &mut Vec<Object>,
        object: usize,
        below: Vec<Below<'a>>,
        are_loose: bool,
    ) -> Vec<(usize, Vec<Below<'a>>)> {
        let (first, mut places, mut open) = (keys.len(), HashMap::new(), Vec::<(usize, Vec<Below<'_>>)>::new());
        let spelled = |name: &str| if are_loose { plain(name) } else { name.to_owned() };
        for Below { column, name, keys: path, further } in below {
            let Some((key, rest)) = path.split_first() else { continue };
            let place = *places.entry(spelled(key)).or_insert_with(|| {
                keys.push(Key { name: (*key).to_owned(), column: None, object: None });
                keys.len() - 1
            });
            if rest.is_empty() {
                keys[place].column = Some(column);
                places.extend(further.iter().map(|key| (spelled(key), place)));
                continue;
            }
            let (object, _) = keys[place].object.get_or_insert_with(|| {
                objects.push(Object::default());
                (objects.len() - 1, format!("invalid_{name}"))
            });
            let rest = Below { column, name, keys: rest.to_vec(), further };
            match open.iter_mut().find(|(other, _)| other == object) {
                Some((_, below)) => below.push(rest),
                None => open.push((*object, vec![rest])),
            }
        }
        objects[object] = Object { keys: first..keys.len(), places };
        open
    }

    /// Whether a record can have a declared column.
    pub(super) fn has(&self, column: usize) -> bool {
        self.columns().any(|other| other == column)
    }

    /// The layout for a scan that reads some of the columns.
    pub(super) fn project(&self, target: &dyn Fn(usize) -> Option<usize>) -> Self {
        Self { targets: self.targets.iter().map(|column| column.and_then(target)).collect(), ..self.clone() }
    }

    /// The declared columns that records can have.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        self.keys.iter().filter_map(|key| key.column)
    }

    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn key(&self, key: usize) -> &Key {
        &self.keys[key]
    }

    /// The number of objects.
    pub(super) fn objects(&self) -> usize {
        self.objects.len()
    }

    /// The object that has a key.
    pub(super) fn object_of(&self, key: usize) -> usize {
        self.objects.iter().position(|object| object.keys.contains(&key)).unwrap_or(0)
    }

    /// The key whose value is an object; the record is that of none.
    pub(super) fn parent(&self, object: usize) -> Option<usize> {
        self.keys.iter().position(|key| key.object.as_ref().is_some_and(|(of, _)| *of == object))
    }

    /// The column of a key among those that are read.
    pub(super) fn target(&self, key: usize) -> Option<usize> {
        self.targets[key]
    }

    /// The first key of an object.
    pub(super) fn first(&self, object: usize) -> usize {
        self.objects[object].keys.start
    }

    /// The key of a name in an object; `guess` is most likely the one.
    pub(super) fn find(&self, object: usize, guess: usize, name: &str) -> Option<usize> {
        let object = &self.objects[object];
        if object.keys.contains(&guess) && self.keys[guess].name == name {
            return Some(guess);
        }
        match self.are_loose {
            false => object.places.get(name).copied(),
            true => object.places.get(&plain(name)).copied(),
        }
    }
}

impl Column {
    /// The keys of JSON that lead to it from the record.
    fn keys(&self) -> impl Iterator<Item = &str> {
        let header = self.path.is_empty().then_some(self.header.as_str());
        header.into_iter().chain(self.path.iter().map(String::as_str))
    }
}
