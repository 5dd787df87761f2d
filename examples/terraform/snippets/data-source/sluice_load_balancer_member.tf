data "sluice_load_balancer_member" "first" {
  load_balancer_id = data.sluice_load_balancer.found.id
  id               = data.sluice_load_balancer_members.web.items[0].id
}
