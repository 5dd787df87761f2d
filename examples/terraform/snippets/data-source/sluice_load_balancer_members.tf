data "sluice_load_balancer_members" "web" {
  load_balancer_id = data.sluice_load_balancer.found.id
}
