instance_types = ["m7g.large"]
nodes          = { min = 3, desired = 3, max = 9 }
nat_per_zone   = true
managed_redis  = false

# Never below one node for each zone: at night fewer questions come, not none.
schedule = {
  morning = { cron = "0 6 * * *", min = 3, desired = 3, max = 9 }
  evening = { cron = "0 20 * * *", min = 3, desired = 3, max = 4 }
}
