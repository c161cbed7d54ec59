environment = "staging"
region      = "us-east-1"
owner       = "platform"
cost_center = "ragwb-staging"
