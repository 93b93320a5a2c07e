"""The tests of some files run in a second process, on the second core, while the others run here; then what came of each is
reported here, as if it had run here. Only where the whole suite runs: a file named on the command line runs where you are.

pytest's own two hooks carry a report from process to process.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

FILES = {  # about half of the time; the fixture main_job serves the second and the third
    *("test_examples", "test_compress", "test_readme"),
    *("test_verify_live", "test_verify_diagnosis", "test_verify_kill_matrix", "test_verify_running"),
}
REPORTS = "TINYCOMPRESS_TEST_REPORTS"  # set in the second process: the file that its reports go to


def pytest_configure(config):
    if REPORTS in os.environ:
        config.pluginmanager.register(Second(config, os.environ.pop(REPORTS)))
    elif config.args_source is config.ArgsSource.TESTPATHS and not (config.option.collectonly or config.option.usepdb):
        if (os.cpu_count() or 1) > 1:
            config.pluginmanager.register(First(config))


class Second:
    """In the second process: only the tests of its files, each report a line of a file."""

    def __init__(self, config, path):
        self.config, self.path = config, path

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.path.stem in FILES]

    def pytest_runtest_logreport(self, report):
        line = json.dumps(self.config.hook.pytest_report_to_serializable(config=self.config, report=report))
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(line + "\n")


class First:
    """In this process: the tests of the other files, then the reports of the second process."""

    def __init__(self, config):
        self.config, self.second, self.reports = config, None, None
        self.folder = tempfile.TemporaryDirectory()
        self.printed, self.path = (pathlib.Path(self.folder.name, name) for name in ("printed", "reports"))

    def pytest_sessionstart(self):
        command = [sys.executable, "-m", "pytest", *self.config.invocation_params.args]
        environment = {**os.environ, REPORTS: str(self.path)}
        with self.printed.open("w") as out:
            where = self.config.invocation_params.dir
            self.second = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=where, env=environment)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda item: item.path.stem in FILES)  # the others first, each in its order

    def pytest_runtest_protocol(self, item):
        if item.path.stem not in FILES:
            return None
        if self.reports is None:
            self.reports = self._read()
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = self.reports.get(item.nodeid, [])
        for report in reports if reports and reports[-1].when == "teardown" else [self._lost(item)]:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _read(self):
        self.second.wait()
        reports = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            report = self.config.hook.pytest_report_from_serializable(config=self.config, data=json.loads(line))
            reports.setdefault(report.nodeid, []).append(report)
        return reports

    def _lost(self, item):
        """The second process never came to the end of this test: a failure, with the last it said."""
        why = f"the second process ended ({self.second.returncode}) before this test did\n{self.printed.read_text()[-2000:]}"
        return pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")

    def pytest_unconfigure(self):
        if self.second is not None:
            self.second.kill()
            self.second.wait()
        self.folder.cleanup()
