"""The tests of some files run in a second process, on the second core, while the others run here; then what came of each is
reported here, as if it had run here. Only where the whole suite runs: a file named on the command line runs where you are.

pytest's own two hooks carry a report from process to process.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import pytest

FILES = {  # about half of the time; the fixture main_job serves the second and the third
    *("test_examples", "test_compress", "test_readme"),
    *("test_verify_live", "test_verify_diagnosis", "test_verify_kill_matrix", "test_verify_running"),
}
REPORTS = "TINYCOMPRESS_TEST_REPORTS"  # set in the second process: the file that its reports go to


def pytest_configure(config):
    if REPORTS in os.environ:
        config.pluginmanager.register(Second(config, os.environ.pop(REPORTS)))
        return
    option, whole = config.option, config.args_source is config.ArgsSource.TESTPATHS
    if whole and (os.cpu_count() or 1) > 1 and not (option.collectonly or option.usepdb or option.basetemp):
        config.pluginmanager.register(First(config))


class Second:
    """In the second process: only the tests of its files, each report a line of a file."""

    def __init__(self, config, path):
        self.config, self.path, self.parent = config, path, os.getppid()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.path.stem in FILES]

    def pytest_runtest_logreport(self, report):
        line = json.dumps(self.config.hook.pytest_report_to_serializable(config=self.config, report=report))
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
        if os.getppid() != self.parent:  # the first process was killed: nobody is there to read this
            os._exit(pytest.ExitCode.INTERRUPTED)


class First:
    """In this process: the tests of the other files, then the reports of the second process, as they come."""

    def __init__(self, config):
        self.config, self.second, self.reports, self.read = config, None, {}, 0
        self.folder = tempfile.TemporaryDirectory()
        self.printed, self.path = (pathlib.Path(self.folder.name, name) for name in ("printed", "reports"))
        self.path.touch()

    def pytest_sessionstart(self):
        command = [sys.executable, "-m", "pytest", *self.config.invocation_params.args]
        how = {"cwd": self.config.invocation_params.dir, "env": {**os.environ, REPORTS: str(self.path)}}
        with self.printed.open("w") as out:  # a session of its own, so that what it started can be ended with it
            self.second = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, **how)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda item: item.path.stem in FILES)  # the others first, each in its order

    def pytest_runtest_protocol(self, item):
        if item.path.stem not in FILES:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports_of(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _reports_of(self, item):
        """Wait for the test's last report; if the process ends before, that is a failure, with the last it said."""
        while True:
            ended = self.second.poll() is not None  # asked before reading: what it wrote until then is read
            self._read_on()
            reports = self.reports.get(item.nodeid, [])
            if reports and reports[-1].when == "teardown":
                return reports
            if ended:
                said = self.printed.read_text()[-2000:]
                why = f"the second process ended ({self.second.returncode}) before this test did\n{said}"
                return [pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")]
            time.sleep(0.05)

    def _read_on(self):
        with self.path.open(encoding="utf-8") as file:
            file.seek(self.read)
            whole, _, _ = file.read().rpartition("\n")
        self.read += len(whole.encode()) + bool(whole)
        for line in whole.splitlines():
            report = self.config.hook.pytest_report_from_serializable(config=self.config, data=json.loads(line))
            self.reports.setdefault(report.nodeid, []).append(report)

    def pytest_sessionfinish(self, session, exitstatus):
        """A second process that reported all and then broke is a failure too."""
        if exitstatus == pytest.ExitCode.OK and self.second.wait() not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            print(f"\nthe second process ended with {self.second.returncode}\n{self.printed.read_text()[-2000:]}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_unconfigure(self):
        if self.second is not None and self.second.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(self.second.pid, signal.SIGKILL)
            self.second.kill()
            self.second.wait()
        self.folder.cleanup()
