"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "be6790b044e557f9",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "d819aa46b0e764a8",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "b1ee44ad6fb31ac7",
        "code of settings": "bd4f723d99b7e481",
        "code of training": "b6d1fd6bb0034596"
    },
    "ppo gymnasium": {
        "code": "be6790b044e557f9",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "d819aa46b0e764a8",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "b1ee44ad6fb31ac7",
        "code of settings": "bd4f723d99b7e481",
        "code of training": "b6d1fd6bb0034596"
    },
    "sac envpool": {
        "code": "3706dc7dfa00eb33",
        "code of algorithms": "6ca4e263af2f5a16",
        "code of algorithms/sac": "49f68b79f09127a6",
        "code of environments": "d819aa46b0e764a8",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "d0a9243153b6841f",
        "code of settings": "bd4f723d99b7e481",
        "code of training": "b6d1fd6bb0034596"
    },
    "sac gymnasium": {
        "code": "3706dc7dfa00eb33",
        "code of algorithms": "6ca4e263af2f5a16",
        "code of algorithms/sac": "49f68b79f09127a6",
        "code of environments": "d819aa46b0e764a8",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "d0a9243153b6841f",
        "code of settings": "bd4f723d99b7e481",
        "code of training": "b6d1fd6bb0034596"
    }
}
