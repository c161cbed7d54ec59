# The way out of the private subnets: paid for by the hour, so it is paused with the rest. One for all zones, or one for each.
locals {
  zones = var.one_per_zone ? keys(var.public_subnets) : [sort(keys(var.public_subnets))[0]]
}

resource "aws_eip" "this" {
  for_each = toset(local.zones)

  domain = "vpc"
  tags   = merge(var.tags, { Name = "${var.name}-nat-${each.key}" })
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.zones)

  subnet_id     = var.public_subnets[each.key]
  allocation_id = aws_eip.this[each.key].id
  tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_route" "out" {
  for_each = var.private_route_tables

  route_table_id         = each.value
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[var.one_per_zone ? each.key : local.zones[0]].id
}
