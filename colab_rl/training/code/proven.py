"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "0b95f7a8829bc7c5",
        "code of algorithms": "7288a55a471c4225",
        "code of algorithms/ppo": "154b5fc0b42617b8",
        "code of environments": "db356c6ba79c8749",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "afbf9ab7a9ecb24b",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "9f3ff3197f6dc90c"
    },
    "ppo gymnasium": {
        "code": "885bee026f8a8826",
        "code of algorithms": "7288a55a471c4225",
        "code of algorithms/ppo": "154b5fc0b42617b8",
        "code of environments": "f9b98441af423d07",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "afbf9ab7a9ecb24b",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "9f3ff3197f6dc90c"
    },
    "sac envpool": {
        "code": "c7cbb0ee00a7af01",
        "code of algorithms": "7db7faeffcb68266",
        "code of algorithms/sac": "b04b65f67722c2eb",
        "code of environments": "db356c6ba79c8749",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "afbf9ab7a9ecb24b",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "9f3ff3197f6dc90c"
    },
    "sac gymnasium": {
        "code": "8f95f0b55278f88b",
        "code of algorithms": "7db7faeffcb68266",
        "code of algorithms/sac": "b04b65f67722c2eb",
        "code of environments": "f9b98441af423d07",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "afbf9ab7a9ecb24b",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "9f3ff3197f6dc90c"
    }
}
