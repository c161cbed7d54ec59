# The API's address and keys outlast a pause; what it leads to is in ../api_stage. REST, since an HTTP API ends an answer after 30 seconds and cannot stream it.
resource "aws_api_gateway_rest_api" "this" {
  name                         = var.name
  description                  = "Queries to ${var.name}"
  disable_execute_api_endpoint = false
  binary_media_types           = ["application/pdf", "application/octet-stream", "multipart/form-data"]
  tags                         = var.tags

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_api_key" "this" {
  for_each = var.clients

  name        = "${var.name}-${each.value}"
  description = "${each.value} calls ${var.name}"
  tags        = var.tags
}
