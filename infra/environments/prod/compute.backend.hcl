# Bucket and region are named by infra/cloud.py: they hold the account's number.
key          = "prod/compute.tfstate"
encrypt      = true
use_lockfile = true
