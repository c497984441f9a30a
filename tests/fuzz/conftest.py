"""The demo release's export, shared with the tests of whole installations."""

from tests.integration.conftest import demo_export as demo_export
