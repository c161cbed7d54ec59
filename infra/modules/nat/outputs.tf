output "addresses" {
  description = "The addresses that others see."
  value       = [for address in aws_eip.this : address.public_ip]
}

output "ready" {
  description = "Known once the way out is open: what needs the internet waits for it."
  value       = [for route in aws_route.out : route.id]
}
