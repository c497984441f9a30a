"""What the forms of the failures pages say: a filter, and a selection of studies to try again or to discard."""

from collections.abc import Mapping
from dataclasses import fields as fields_of
from zoneinfo import ZoneInfo

from flask import abort
from werkzeug.datastructures import MultiDict

from cspine.records.filters import Filter
from cspine.records.selections import Selection
from web.services import services

MOST_STUDIES = 1000  # chosen one by one


def asked(values: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of the filter that a query has, as they were sent."""
    return {field.name: values[field.name] for field in fields_of(Filter) if values.get(field.name)}


def chosen(values: Mapping[str, str]) -> Filter:
    """Return the filter that a query asks for; a time without a zone is the site's. Raises `Usage` for a bad value."""
    return Filter.of(values, ZoneInfo(services().settings.site_timezone))


def selection(form: "MultiDict[str, str]") -> Selection | None:
    """Return what a form selects; null where nothing is chosen, 400 where it is none of our forms."""
    canary = {"yes": True, "no": False}.get(form.get("canary", ""))
    of = form.get("of")
    if of == "studies":
        ids = tuple(dict.fromkeys(form.getlist("study")))
        if len(ids) > MOST_STUDIES:
            abort(413)
        return Selection(studies=ids, canary=canary) if ids else None
    if of == "group" and form.get("fingerprint"):
        return Selection(fingerprint=form["fingerprint"], canary=canary)
    if of == "batch" and form.get("batch"):
        return Selection(batch=form["batch"], canary=canary)
    if of != "filter":
        abort(400)
    wanted = chosen(form)
    if wanted.empty:
        return Selection(everything=True, canary=canary)
    return Selection(chosen=wanted, canary=canary)


def fields(selected: Selection) -> list[tuple[str, str]]:
    """Return the fields of a form that selects the same again."""
    if selected.studies:
        return [("of", "studies"), *(("study", one) for one in selected.studies)]
    if selected.fingerprint is not None:
        return [("of", "group"), ("fingerprint", selected.fingerprint)]
    if selected.batch is not None:
        return [("of", "batch"), ("batch", selected.batch)]
    return [("of", "filter"), *(selected.chosen.as_dict().items() if selected.chosen else ())]
