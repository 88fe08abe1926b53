"""Reads events of OpenLineage, one a line, as the classes that its project generates from the published JSON schemas: a key that a
schema does not have, a missing one, a value of another type, and a facet in a wrong place are errors."""

import importlib
import inspect
import json
import pkgutil
import sys
import types
import typing
from datetime import datetime
from urllib.parse import urlsplit

import attr
from openlineage.client import generated
from openlineage.client.generated import base

# All facets, by the URL of their schema.
FACETS = {}
for module in pkgutil.iter_modules(generated.__path__):
    for _, kind in inspect.getmembers(importlib.import_module(f"{generated.__name__}.{module.name}"), inspect.isclass):
        if issubclass(kind, base.BaseFacet):
            FACETS[kind._get_schema()] = kind
# The facet of weir itself, and one that its schema has under the facets of inputs, and its name under those of all datasets.
OWN, ANYWHERE = "urn:weir:facets:run:1", "DataQualityAssertionsDatasetFacet"


def fits(value, kind, where):
    """Fails unless a value is of a type, with all that is in it."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        errors = []
        for one in typing.get_args(kind):
            try:
                return fits(value, one, where)
            except AssertionError as error:
                errors.append(str(error))
        raise AssertionError("; ".join(errors))
    if kind is typing.Any:
        return
    if origin is list:
        assert isinstance(value, list), f"{where} is no list"
        for number, one in enumerate(value):
            fits(one, typing.get_args(kind)[0], f"{where}[{number}]")
    elif origin is dict:
        assert isinstance(value, dict), f"{where} is no object"
        of = typing.get_args(kind)[1]
        for key, one in value.items():
            is_facet = inspect.isclass(of) and issubclass(of, base.BaseFacet)
            (facet if is_facet else fits)(one, of, f"{where}.{key}")
    elif attr.has(kind):
        assert isinstance(value, dict), f"{where} is no object"
        attr.resolve_types(kind, {**vars(base), **vars(sys.modules[kind.__module__])}, {"Any": typing.Any, "ClassVar": typing.ClassVar})
        fields = {field.name: field for field in attr.fields(kind)}
        unknown = value.keys() - fields.keys()
        assert not unknown, f"{where} has unknown keys: {sorted(unknown)}"
        missing = {name for name, field in fields.items() if field.default is attr.NOTHING} - value.keys()
        assert not missing, f"{where} lacks {sorted(missing)}"
        for name, one in value.items():
            fits(one, fields[name].type, f"{where}.{name}")
            if fields[name].validator:
                fields[name].validator(None, fields[name], one)
    elif kind is float:
        assert isinstance(value, (int, float)) and not isinstance(value, bool), f"{where} is no number"
    elif inspect.isclass(kind) and issubclass(kind, base.EventType):
        kind(value)
    elif kind is type(None):
        assert value is None, f"{where} is not null"
    else:
        assert type(value) is kind, f"{where} is no {kind.__name__}: {value!r}"


def facet(value, of, where):
    """Fails unless a value is a facet that may be in this place, as its schema says."""
    assert urlsplit(value["_producer"]).scheme, where
    if value["_schemaURL"] == OWN:
        return
    kind = FACETS.get(value["_schemaURL"])
    assert kind, f"{where}: no published schema is {value['_schemaURL']}"
    assert issubclass(kind, of) or kind.__name__ == ANYWHERE, f"{where}: {kind.__name__} is no {of.__name__}"
    fits(value, kind, where)


def event(value):
    value = dict(value)
    assert value.pop("schemaURL") == base.RunEvent._get_schema()
    assert urlsplit(value["producer"]).scheme
    datetime.fromisoformat(value["eventTime"].replace("Z", "+00:00"))
    fits(value, base.RunEvent, value["eventType"])


count = 0
for line in sys.stdin:
    event(json.loads(line))
    count += 1
print(count)
