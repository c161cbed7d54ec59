"A contributor's own settings take no part, and RAGWB_REQUIRE_BROWSER, which is read when the tests are collected, is no setting of the workbench."

import os


def pytest_collection_finish():
    for name in [name for name in os.environ if name.startswith("RAGWB_")]:
        del os.environ[name]
