"""The TypeScript SDK: `npm test`, which also checks the generated code, and the examples for Node.js and browsers."""

import re
from typing import Final

from tests.sdks import browser
from tests.sdks.examples import ROOT, Example, example
from tests.sdks.readmes import OwnProject, Readme, readme
from tests.sdks.suites import Check, CheckFailedError, Command, Suite

SDK: Final = ROOT / "client" / "typescript"
PROTO_LOADER: Final = ROOT / "examples" / "node-proto-loader"
_NODE_MAJOR_MIN: Final = 20
_INSTALL: Final = ("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund")
_PASSED: Final = re.compile(r"^\S+ pass (\d+)$", re.MULTILINE)
_FIRST_CALL: Final = """import { connect } from "tallykeeper";

const client = connect(process.env.TALLYKEEPER_ADDRESS, { namespace: "example-own" });
const { counter } = await client.increment("visitors");
console.log(String(counter.value));
client.close();
"""
_SKIPPED: Final = re.compile(r"^\S (.* \([\d.]+ms\) # .*)$", re.MULTILINE)
"""npm writes the reason of a skipped test behind a #."""


def _tests() -> str:
    output = Command(["npm", "test", "--silent"], SDK).output()
    passed = sum(map(int, _PASSED.findall(output)))
    skipped = _SKIPPED.findall(output)
    if not passed or skipped:
        message = "no test ran, or some were skipped although there is a server:\n" + "\n".join(skipped)
        raise CheckFailedError(message)
    return f"{passed} tests"


SUITE: Final = Suite(
    "typescript",
    [
        Check("tests", _tests),
        readme(
            Readme(
                SDK / "README.md",
                OwnProject({"first.mjs": _FIRST_CALL}, ["node", "first.mjs"]),
                environment=lambda _: {"npm_config_prefer_offline": "true", "npm_config_audit": "false"},
            )
        ),
        # As a newcomer: it builds the client too, so it is not run a second time with an argument.
        example(Example(["npm", "start"], ROOT / "examples" / "typescript", prints_more=True)),
    ],
    tools=("node", "npm"),
    versions={"node": _NODE_MAJOR_MIN},
    builds=[Command(_INSTALL, SDK)],
    generates=[Command(_INSTALL, SDK), Command(["npm", "run", "gen"], SDK)],
)
NODE_PROTO_LOADER: Final = Suite(
    "node-proto-loader",
    [example(Example(["npm", "start", "--silent"], PROTO_LOADER, argument=("--", "{address}")))],
    tools=("node", "npm"),
    versions={"node": _NODE_MAJOR_MIN},
    builds=[Command([*_INSTALL, "--ignore-scripts"], PROTO_LOADER)],
)
BROWSER: Final = Suite("browser", [Check("example", browser.play)], tools=browser.TOOLS)
