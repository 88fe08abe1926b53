//! Sorts models in dependency order.

use std::collections::HashMap;

use super::Model;
use crate::error::Result;
use crate::task::Task;

/// Sorts models so that each comes after those that it reads. A cycle is an error that shows it.
pub(super) fn by_dependency(task: &Task, models: Vec<Model>) -> Result<Vec<Model>> {
    let reads: HashMap<&str, Vec<&str>> =
        models.iter().map(|m| (m.name.as_str(), m.reads.iter().map(String::as_str).collect())).collect();
    let mut order = Vec::new();
    for model in &models {
        let mut path = Vec::new();
        if let Err(cycle) = visit(&model.name, &reads, &mut path, &mut order) {
            let error =
                task.error(&task.spec.models[cycle[0]], format!("models read each other: {}", cycle.join(" -> ")));
            return Err(Box::new(error.with_help("remove one of these reads")).into());
        }
    }
    let order: HashMap<String, usize> = order.iter().enumerate().map(|(i, name)| ((*name).to_owned(), i)).collect();
    let mut models = models;
    models.sort_by_key(|model| order[&model.name]);
    Ok(models)
}

/// Adds what `name` reads to the order, then `name`; or returns the cycle that it is part of.
fn visit<'a>(
    name: &'a str,
    reads: &HashMap<&'a str, Vec<&'a str>>,
    path: &mut Vec<&'a str>,
    order: &mut Vec<&'a str>,
) -> Result<(), Vec<&'a str>> {
    let Some(read) = reads.get(name).filter(|_| !order.contains(&name)) else { return Ok(()) };
    if let Some(start) = path.iter().position(|n| *n == name) {
        return Err(path[start..].iter().copied().chain([name]).collect());
    }
    path.push(name);
    for next in read {
        visit(next, reads, path, order)?;
    }
    path.pop();
    order.push(name);
    Ok(())
}
