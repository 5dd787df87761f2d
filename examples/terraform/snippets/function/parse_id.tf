output "kind" {
  # "network"
  value = provider::sluice::parse_id(sluice_network.front.id).kind
}
