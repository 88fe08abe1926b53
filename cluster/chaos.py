#!/usr/bin/env python3
"""Machines of a cluster die while runs go on, and each time the result must be that of one process.

Three network namespaces with a bridge are the machines: the scheduler and the client, executor a, executor b. At a random moment of
a run something happens to one of them. Then the run has ended with the right result, or with an error and nothing changed; and the next
start leaves one complete run and nothing else. Needs root, `ip` and `nft`.

    python3 cluster/chaos.py --program target/debug/weir-cluster --rounds 100
"""

import argparse
import collections
import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TASK = """
name: orders
params: {out: {type: string}, input: {type: string}}
sources:
  purchase:
    files: {path: "${input}/orders.csv", format: csv}
    columns: {id: bigint, customer: bigint, amount: 'decimal(10,2)', note: string}
  customer:
    files: {path: "${input}/customers.jsonl", format: jsonl}
    columns: {id: bigint, name: string}
models: {priced: priced.sql, total: total.sql}
quality:
  priced:
    reject_unless: {too_small: amount >= 1, has_note: {not_null: note}}
    warn_unless: {round: "amount % 10 = 0", ids: {unique: [id]}}
  total: {reject_unless: {known: name is not null}}
sinks:
  good: {from: priced, mode: overwrite, files: {path: "${out}/good", format: csv}}
  bad: {from: priced.rejected, mode: overwrite, files: {path: "${out}/bad", format: csv}}
  total: {from: total, mode: overwrite, partition_by: [name], files: {path: "${out}/total", format: jsonl}}
  unknown: {from: total.rejected, mode: overwrite, files: {path: "${out}/unknown", format: csv}}
  unread: {from: purchase.rejected, mode: overwrite, files: {path: "${out}/unread", format: csv}}
"""

PRICED = "select id, customer, amount, 100 / amount as share, note from purchase order by id, note\n"
TOTAL = """select customer as id, name, sum(amount) as total, count(*) as orders
from priced left join customer on priced.customer = customer.id group by customer, name
"""

MACHINES = {"client": "10.77.0.1", "a": "10.77.0.2", "b": "10.77.0.3"}
PORT = 50050
# A run that takes longer is stuck.
LONGEST = 300


class Wrong(Exception):
    """The result is not what it must be."""


def call(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


class Network:
    """The machines, as network namespaces."""

    def __init__(self):
        self.prefix = f"weir{os.getpid()}"
        self.made = []

    def name(self, machine):
        return f"{self.prefix}-{machine}"

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        for machine in ["bridge", *MACHINES]:
            call("ip", "netns", "add", self.name(machine))
            self.made.append(machine)
        call("ip", "-n", self.name("bridge"), "link", "add", "br0", "type", "bridge")
        call("ip", "-n", self.name("bridge"), "link", "set", "br0", "up")
        for machine, address in MACHINES.items():
            there = self.name(machine)
            call("ip", "-n", there, "link", "add", "eth0", "type", "veth", "peer", "name", machine, "netns", self.name("bridge"))
            call("ip", "-n", self.name("bridge"), "link", "set", "dev", machine, "master", "br0", "up")
            call("ip", "-n", there, "address", "add", f"{address}/24", "dev", "eth0")
            for link in ["lo", "eth0"]:
                call("ip", "-n", there, "link", "set", "dev", link, "up")

    def __exit__(self, *_):
        for machine in self.made:
            subprocess.run(["ip", "netns", "delete", self.name(machine)], check=False)

    def start(self, machine, command, log, **options):
        with open(log, "ab") as out:
            inside = ["ip", "netns", "exec", self.name(machine), *command]
            return subprocess.Popen(inside, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **options)

    def cut(self, machine):
        call("ip", "-n", self.name("bridge"), "link", "set", "dev", machine, "down")

    def drop(self, machine, direction):
        """Drops packets in one direction."""
        side = "iifname" if direction == "input" else "oifname"
        rules = f"table inet chaos {{\n chain c {{\n type filter hook {direction} priority 0;\n {side} != lo drop\n }}\n}}\n"
        command = ["ip", "netns", "exec", self.name(machine), "nft", "-f", "-"]
        subprocess.run(command, check=True, input=rules, text=True)

    def heal(self):
        for machine in MACHINES:
            call("ip", "-n", self.name("bridge"), "link", "set", "dev", machine, "up")
            flush = ["ip", "netns", "exec", self.name(machine), "nft", "flush", "ruleset"]
            subprocess.run(flush, check=True)


class Cluster:
    """The processes on the machines."""

    def __init__(self, network, program, folder):
        self.network, self.program, self.folder = network, program, folder
        self.processes = {}

    def start(self):
        """Starts what does not run."""
        url = f"http://{MACHINES['client']}:{PORT}"
        commands = {"scheduler": ("client", ["scheduler", "--bind", f"{MACHINES['client']}:{PORT}", "--insecure"])}
        for name in ["a", "b"]:
            address = MACHINES[name]
            work = self.folder / f"work-{name}"
            command = ["executor", "--scheduler", url, "--bind", address, "--host", address, "--insecure", "--cores", "1"]
            commands[name] = (name, [*command, "--work-dir", str(work)])
        for name, (machine, command) in commands.items():
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                log = self.folder / f"{name}.log"
                self.processes[name] = self.network.start(machine, [self.program, *command], log)
        deadline = time.monotonic() + 60
        while True:
            status = ["ip", "netns", "exec", self.network.name("client"), self.program, "status", "--json", "--cluster", url]
            answer = subprocess.run(status, capture_output=True, text=True, check=False)
            if answer.returncode == 0 and answer.stdout.count('"cores"') == 2:
                return
            if time.monotonic() > deadline:
                raise Wrong(f"the cluster does not start: {answer.stdout}{answer.stderr}")
            time.sleep(0.5)

    def signal(self, name, number):
        # `ip netns exec` becomes the program itself.
        self.processes[name].send_signal(number)

    def kill(self, name):
        self.signal(name, signal.SIGKILL)
        self.processes[name].wait()

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


class Runs:
    """Runs of the task, and what they leave."""

    def __init__(self, network, program, folder, rows):
        self.network, self.program, self.folder = network, program, folder
        for name, text in {"task.yaml": TASK, "priced.sql": PRICED, "total.sql": TOTAL}.items():
            (folder / name).write_text(text)
        (folder / "shared").mkdir()
        for number in range(2):
            write_input(folder / f"in-{number}", rows + number, number)
        self.expected = [self.here(number) for number in range(2)]

    def command(self, name, number):
        run = [self.program, "run", "task.yaml", "--threads", "2", "--quiet", "--state", f"{name}-state"]
        return [*run, "--param", f"out={self.folder / name}", "--param", f"input={self.folder / f'in-{number}'}"]

    def here(self, number):
        """The result of one process."""
        name = f"here-{number}"
        call(*self.command(name, number), cwd=self.folder, stderr=subprocess.DEVNULL)
        return self.result(name)

    def start(self, number):
        url = f"http://{MACHINES['client']}:{PORT}"
        command = [*self.command("away", number), "--cluster", url, "--shared", str(self.folder / "shared")]
        return self.network.start("client", command, self.folder / "run.log", cwd=self.folder)

    def result(self, name):
        """A hash of the rows of each sink, whatever files they are in."""
        result = {}
        for sink in ["good", "bad", "total", "unknown", "unread"]:
            rows = collections.Counter()
            for file in (self.folder / name / sink).rglob("part-*"):
                lines = file.read_bytes().splitlines()
                rows.update(f"{file.parent.name}:".encode() + line for line in lines if not line.startswith((b"id,", b"_file,")))
            text = b"\n".join(sorted(rows.elements()))
            result[sink] = (sum(rows.values()), hashlib.sha256(text).hexdigest())
        return result

    def check_nothing_else(self):
        left = [str(path) for path in (self.folder / "shared").iterdir()]
        left += [str(path) for path in (self.folder / "away").iterdir() if path.name.startswith(".")]
        if left:
            raise Wrong(f"left: {left}")


def write_input(folder, rows, seed):
    folder.mkdir()
    with open(folder / "orders.csv", "w", encoding="utf-8") as out:
        out.write("id,customer,amount,note\n")
        for row in range(rows):
            kind = (row + seed) % 11
            if kind == 3:
                out.write(f"{row},x,1.5,wrong customer\n")
            elif kind == 5:
                out.write(f'{row},{row % 7},{row % 30}.25,"two\nlines, ""quoted"""\n')
            elif kind == 7:
                out.write(f"{row},{row % 7},0,division\n")
            elif kind == 8:
                out.write(f"{row},1\n")
            elif kind == 9:
                out.write(f"{row - 1},{row % 7},{row % 40},\n")
            else:
                out.write(f"{row},{row % 9},{row % 50}.00,note {row}\n")
    customers = [f'{{"id": {number}, "name": "c{number}"}}\n' for number in range(7)]
    (folder / "customers.jsonl").write_text("".join(customers))


# What can happen, to whom, and for how long, in seconds.


def kill_executor(_network, cluster, _client):
    cluster.kill(random.choice("ab"))


def kill_both_executors(_network, cluster, _client):
    cluster.kill("a")
    cluster.kill("b")


def kill_scheduler(_network, cluster, _client):
    cluster.kill("scheduler")


def kill_client(_network, _cluster, client):
    client.kill()


def freeze_executor(_network, cluster, _client):
    """For so long that it is taken for lost."""
    name = random.choice("ab")
    cluster.signal(name, signal.SIGSTOP)
    time.sleep(random.uniform(1, 25))
    cluster.signal(name, signal.SIGCONT)


def cut_executor(network, _cluster, _client):
    network.cut(random.choice("ab"))
    time.sleep(random.uniform(1, 25))
    network.heal()


def drop_one_way(network, _cluster, _client):
    network.drop(random.choice("ab"), random.choice(["input", "output"]))
    time.sleep(random.uniform(1, 25))
    network.heal()


EVENTS = {
    event.__name__.replace("_", "-"): event
    for event in [
        kill_executor,
        kill_both_executors,
        kill_scheduler,
        kill_client,
        freeze_executor,
        cut_executor,
        drop_one_way,
    ]
}


def play(network, cluster, runs, number, event, moment):
    """One round; returns what became of the run, and its seconds."""
    before = runs.result("away")
    expected = runs.expected[number % 2]
    started = time.monotonic()
    client = runs.start(number % 2)
    time.sleep(moment)
    EVENTS[event](network, cluster, client)
    try:
        code = client.wait(LONGEST)
    except subprocess.TimeoutExpired:
        client.kill()
        raise Wrong("the run does not end") from None
    seconds = time.monotonic() - started
    after = runs.result("away")
    if code == 0 and after != expected:
        raise Wrong(f"ended with 0, and the result is {after}, not {expected}")
    if code != 0 and after not in (before, expected):
        raise Wrong(f"ended with {code}, and the result is {after}, neither {before} nor {expected}")
    network.heal()
    cluster.start()
    if code != 0:
        client = runs.start(number % 2)
        if client.wait(LONGEST) != 0 or runs.result("away") != expected:
            raise Wrong(f"the next run leaves {runs.result('away')}, not {expected}")
    runs.check_nothing_else()
    return ("done" if code == 0 else f"error {code}, then done"), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="the program weir-cluster")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=None, help="of the random moments and events [default: another one each time]")
    parser.add_argument("--only", choices=sorted(EVENTS), help="no other event")
    options = parser.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-chaos-"))
    program = os.path.abspath(options.program)
    outcomes = collections.Counter()
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network())
        cluster = Cluster(network, program, folder)
        stack.callback(cluster.stop)
        runs = Runs(network, program, folder, options.rows)
        cluster.start()
        started = time.monotonic()
        if runs.start(0).wait(LONGEST) != 0 or runs.result("away") != runs.expected[0]:
            raise Wrong(f"without any event: {runs.result('away')}, not {runs.expected[0]}; see {folder}")
        usual = time.monotonic() - started
        print(f"a run without any event takes {usual:.1f} s", flush=True)
        for number in range(1, options.rounds + 1):
            event = options.only or random.choice(list(EVENTS))
            moment = random.uniform(0, usual)
            try:
                outcome, seconds = play(network, cluster, runs, number, event, moment)
            except Wrong as wrong:
                sys.exit(f"round {number}, {event} after {moment:.2f} s: {wrong}; see {folder}")
            outcomes[(event, outcome)] += 1
            print(f"{number:4} {event:20} after {moment:5.2f} s: {outcome}, {seconds:.1f} s", flush=True)
    shutil.rmtree(folder)
    for (event, outcome), count in sorted(outcomes.items()):
        print(f"{event:20} {outcome:24} {count}")


if __name__ == "__main__":
    main()
