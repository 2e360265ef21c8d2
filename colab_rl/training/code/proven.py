"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "807676a397592752",
        "code of algorithms": "cb93623a3784c839",
        "code of algorithms/ppo": "6839fe48ff8dd255",
        "code of environments": "7b87f97c61550ed9",
        "code of evaluation": "0933cb6a486ea95c",
        "code of networks": "ae5e103f82b092b0",
        "code of settings": "1e78656fe863cca0",
        "code of training": "0e2d81348b8fbd03"
    },
    "ppo gymnasium": {
        "code": "955cd8413e1ea0ac",
        "code of algorithms": "cb93623a3784c839",
        "code of algorithms/ppo": "6839fe48ff8dd255",
        "code of environments": "4905c26aeab0a008",
        "code of evaluation": "0933cb6a486ea95c",
        "code of networks": "ae5e103f82b092b0",
        "code of settings": "1e78656fe863cca0",
        "code of training": "0e2d81348b8fbd03"
    },
    "sac envpool": {
        "code": "ba4b5b7471b6e92d",
        "code of algorithms": "cb93623a3784c839",
        "code of algorithms/ppo": "6ea5599e50937990",
        "code of algorithms/sac": "a2dbcf7a5e41233f",
        "code of environments": "7b87f97c61550ed9",
        "code of evaluation": "0933cb6a486ea95c",
        "code of networks": "ae5e103f82b092b0",
        "code of settings": "1e78656fe863cca0",
        "code of training": "0e2d81348b8fbd03"
    },
    "sac gymnasium": {
        "code": "241cab600cfb2f17",
        "code of algorithms": "cb93623a3784c839",
        "code of algorithms/ppo": "6ea5599e50937990",
        "code of algorithms/sac": "a2dbcf7a5e41233f",
        "code of environments": "4905c26aeab0a008",
        "code of evaluation": "0933cb6a486ea95c",
        "code of networks": "ae5e103f82b092b0",
        "code of settings": "1e78656fe863cca0",
        "code of training": "0e2d81348b8fbd03"
    }
}
