"""Signing in by a one-time address and by password, and out."""

from collections.abc import Callable
from datetime import timedelta

from playwright.sync_api import Page, expect

from cspine.database import Database
from cspine.records import people

Open = Callable[..., Page]
PASSWORD = "a long enough password"


def test_the_first_admin_signs_in_sets_a_password_and_comes_back(open_page: Open, database: Database) -> None:
    with database.write() as session:
        user = people.add(session, "first", people.Role.ADMIN)
        token = people.issue(session, user, people.Purpose.SIGNIN, timedelta(minutes=5))
    page = open_page()
    page.goto(f"/signin/{token}")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("/")
    page.get_by_role("link", name="Set a password").click()
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text("The password is set.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Name").fill("first")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("/")

    again = open_page()
    again.goto(f"/signin/{token}")
    again.get_by_role("button", name="Sign in").click()
    expect(again.get_by_role("alert")).to_contain_text("used already")


def test_a_page_asked_for_before_signing_in_is_shown_after(open_page: Open, database: Database) -> None:
    from web.auth import passwords

    with database.write() as session:
        people.add(session, "rita", people.Role.READER, passwords.hashed(PASSWORD))
    page = open_page()
    page.goto("/batches")
    page.get_by_label("Name").fill("rita")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("The name or the password is not right.")
    page.get_by_label("Name").fill("rita")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("/batches")


def test_the_back_button_shows_nothing_after_signing_out(page: Page) -> None:
    page.goto("/batches")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("/login")
    page.go_back()
    expect(page.get_by_label("Password")).to_be_visible()
