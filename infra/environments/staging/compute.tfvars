instance_types = ["m7g.large"]
nodes          = { min = 1, desired = 2, max = 4 }

schedule = {
  morning = { cron = "0 7 * * 1-5", min = 1, desired = 2, max = 4 }
  evening = { cron = "0 19 * * 1-5", min = 0, desired = 0, max = 4 }
}
