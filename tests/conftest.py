"What holds for all tests."

import os
import signal
import threading

from profiles import bedrock, placed  # noqa: F401  # fixtures for whoever asks
from servers import bucket, proxy, s3_settings, seaweed  # noqa: F401  # fixtures for whoever asks

# Started in the background, a process ignores Ctrl-C and so do its children; the tests that send it need the usual behaviour.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    "A contributor's settings take no part, and RAGWB_REQUIRE_BROWSER, read at collection, is no setting of the workbench."
    for name in [name for name in os.environ if name.startswith("RAGWB_")]:
        del os.environ[name]
