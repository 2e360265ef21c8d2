"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "419d8afdbcd112c2",
        "code of algorithms": "5a5b0501be91fb95",
        "code of algorithms/ppo": "a6cede70a6baca24",
        "code of environments": "e927936471d534f5",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "f15cf6225f4a694c",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aada8f3f33e268aa",
        "code of settings": "24d82d0d9058143b",
        "code of training": "516ad5f55b44b767"
    },
    "ppo gymnasium": {
        "code": "ff47dc5d12b0708c",
        "code of algorithms": "5a5b0501be91fb95",
        "code of algorithms/ppo": "a6cede70a6baca24",
        "code of environments": "c0998cf6d349c777",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "f15cf6225f4a694c",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aada8f3f33e268aa",
        "code of settings": "24d82d0d9058143b",
        "code of training": "516ad5f55b44b767"
    },
    "sac envpool": {
        "code": "cdf05adf9a0b55a4",
        "code of algorithms": "346b5508524d72d9",
        "code of algorithms/sac": "9d8eb570d464d850",
        "code of environments": "e927936471d534f5",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "f15cf6225f4a694c",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aada8f3f33e268aa",
        "code of settings": "24d82d0d9058143b",
        "code of training": "516ad5f55b44b767"
    },
    "sac gymnasium": {
        "code": "2724da0d73bc7e93",
        "code of algorithms": "346b5508524d72d9",
        "code of algorithms/sac": "9d8eb570d464d850",
        "code of environments": "c0998cf6d349c777",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "f15cf6225f4a694c",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aada8f3f33e268aa",
        "code of settings": "24d82d0d9058143b",
        "code of training": "516ad5f55b44b767"
    }
}
