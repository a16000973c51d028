"""Timers of a function app in real replicas, one of which runs them, and what is said of functions that do not run."""

import json
import subprocess
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.node_client import NodeClients
from tests.e2e.processes import (
    NAMED_CLIENTS,
    ROOT,
    app_command,
    bridge_settings,
    clean_environment,
    free_port,
    run_bridge,
    run_emulator,
)

APP = """
import json

import azure.functions as func

app = func.FunctionApp()


@app.timer_trigger(arg_name="mytimer", schedule="%TICK_SCHEDULE%", run_on_startup=True, use_monitor=False)
@app.generic_output_binding(
    arg_name="messages", type="signalR", hubName="chat", connectionStringSetting="AzureSignalRConnectionString"
)
def tick(mytimer: func.TimerRequest, messages: func.Out[str]) -> None:
    arguments = [mytimer.past_due, mytimer.schedule_status["Last"], mytimer.schedule_status["Next"]]
    messages.set(json.dumps({"target": "newMessage", "arguments": arguments}))


@app.schedule(arg_name="mytimer", schedule="* * * * * *")
def broken(mytimer: func.TimerRequest) -> None:
    raise ValueError("no luck")


@app.schedule(arg_name="mytimer", schedule="* * * * * *", run_on_startup=True)
def disabled(mytimer: func.TimerRequest) -> None:
    raise SystemExit("it has run")


@app.schedule(arg_name="mytimer", schedule="* * * * * *", run_on_startup=True)
@app.queue_output(arg_name="message", queue_name="orders", connection="AzureWebJobsStorage")
def order(mytimer: func.TimerRequest, message: func.Out[str]) -> None:
    raise SystemExit("it has run")


@app.queue_trigger(arg_name="message", queue_name="%NOWHERE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    raise SystemExit("it has run")


@app.generic_trigger(arg_name="context", type="orchestrationTrigger")
def orchestrate(context) -> None:
    raise SystemExit("it has run")
"""

LEFT_OUT = {
    "disabled": "it is disabled by the setting AzureWebJobs.disabled.Disabled",
    "order": "it has a binding of the type queue, which the bridge does not have",
    "work": "it starts by queueTrigger, which the bridge does not have",
    "orchestrate": "it belongs to Durable Functions (orchestrationTrigger), which the bridge does not have",
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    values = {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "TICK_SCHEDULE": "*/1 * * * * *",
        "WEBSITE_TIME_ZONE": "Korea Standard Time",
    }
    values["AzureWebJobs.disabled.Disabled"] = "true"
    (tmp_path / "function_app.py").write_text(APP)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    return tmp_path


def test_one_replica_runs_the_timers_of_a_function_app(node: NodeClients, app: Path) -> None:
    port, emulator_port = free_port(), free_port()
    settings = NAMED_CLIENTS | {"BRIDGE_FUNCTION_APP__FOLDER": str(app)}
    with (
        run_emulator(emulator_port, f"http://localhost:{port}/upstream"),
        run_bridge(free_port(), emulator_port, settings) as other,
        run_bridge(port, emulator_port, settings | {"BRIDGE_FUNCTION_APP__TIMERS": "true"}) as bridge,
    ):
        client = node.client().start(f"http://localhost:{port}/hubs/chat?userId=ann")
        ticks = [client.message() for _ in range(3)]
        assert {target for target, _ in ticks} == {"newMessage"}
        assert [past_due for _, (past_due, _, _) in ticks] == [False] * 3
        due = [datetime.fromisoformat(one) for _, (_, _, one) in ticks]
        assert {late - early for early, late in pairwise(due)} == {timedelta(seconds=1)}, ticks
        assert {one.utcoffset() for one in due} == {timedelta(hours=9)}
        bridge.wait_for_line('"timer function failed".*ValueError')
        other.wait_for_line('"timers do not run here"')
        for process in (bridge, other):
            lines = [json.loads(line) for line in process.lines if '"function left out"' in line]
            assert {one["function"]: one["reason"] for one in lines} == LEFT_OUT
            assert len(lines) == len(LEFT_OUT)
        assert "it has run" not in bridge.output + other.output
        assert '"timer started"' not in other.output


def test_check_names_the_functions_that_do_not_run(app: Path) -> None:
    settings = bridge_settings(free_port()) | {"BRIDGE_FUNCTION_APP__FOLDER": str(app)}
    environment = clean_environment() | settings
    command = app_command("check")
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, reason in LEFT_OUT.items():
        assert f"{name}: this function is left out, because {reason}." in done.stdout + done.stderr
