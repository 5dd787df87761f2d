data "sluice_machines" "on_front" {
  network_id = data.sluice_network.found.id
}
