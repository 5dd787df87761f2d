resource "sluice_load_balancer" "web" {
  name         = "web"
  project_id   = sluice_project.shop.id
  network_id   = sluice_shard_attachment.front.network_id
  traffic_type = "http"
  listeners    = [{ port = 80 }]
  members      = [for machine in sluice_machine.web : { machine_id = machine.id }]

  health_check = {
    protocol         = "http"
    path             = "/"
    interval_seconds = 2
    timeout_seconds  = 2
  }
}

output "url" {
  value = sluice_load_balancer.web.url
}
