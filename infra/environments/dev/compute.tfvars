instance_types = ["t4g.large", "m7g.large", "m6g.large"]
spot           = true
nodes          = { min = 1, desired = 1, max = 3 }

schedule = {
  morning = { cron = "0 7 * * 1-5", min = 1, desired = 1, max = 3 }
  evening = { cron = "0 19 * * 1-5", min = 0, desired = 0, max = 3 }
}
