# Its members are managed one by one, so it leaves them out.
resource "sluice_load_balancer" "shared" {
  name         = "shared"
  project_id   = sluice_project.shop.id
  network_id   = sluice_shard_attachment.front.network_id
  traffic_type = "http"
  listeners    = [{ port = 80 }]
}

resource "sluice_load_balancer_member" "first" {
  load_balancer_id = sluice_load_balancer.shared.id
  machine_id       = sluice_machine.web[0].id
  weight           = 10
}
