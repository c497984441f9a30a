"""What failed or was quarantined: in groups that failed alike, and study by study, both by a filter."""

from flask import Blueprint, abort, render_template, request

from cspine.records import bulk, failures, files, filters
from web.addresses import row_number
from web.failures import forms
from web.services import services

blueprint = Blueprint("failures", __name__)

GROUPS = 100
SHOWN = 20  # studies of a group on the page of groups; the list has all of them
PAGE = 100
UNDER_WAY = 5  # retries and discards, the latest


@blueprint.get("/failures")
def listing() -> str:
    """Show the groups that match the filter, the largest first."""
    with services().database.read() as session:
        chosen = forms.chosen(request.args)
        groups = failures.groups(session, chosen, GROUPS)
        totals, choices = failures.totals(session, chosen), filters.choices(session)
        shown = [study_id for group in groups for study_id in group.studies[:SHOWN]]
        names = files.first_names(session, shown)
        latest = bulk.recent(session, UNDER_WAY)
    return render_template("failures/list.html", groups=groups, names=names, shown=SHOWN, totals=totals, latest=latest,
                           choices=choices, chosen=chosen, asked=forms.asked(request.args))  # fmt: skip


@blueprint.get("/failures/studies")
def studies() -> str:
    """Show the studies that match the filter, one by one, to choose from."""
    try:
        after = row_number(request.args.get("after", "0"))
    except ValueError:
        abort(404)
    with services().database.read() as session:
        chosen = forms.chosen(request.args)
        found = failures.members(session, chosen, after, PAGE + 1)
        totals, choices = failures.totals(session, chosen), filters.choices(session)
    more = found[PAGE - 1].screening_id if len(found) > PAGE else None
    return render_template("failures/studies.html", members=found[:PAGE], more=more, after=after, totals=totals,
                           choices=choices, chosen=chosen, asked=forms.asked(request.args))  # fmt: skip
