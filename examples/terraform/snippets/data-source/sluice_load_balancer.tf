data "sluice_load_balancer" "found" {
  name       = "web"
  project_id = data.sluice_project.found.id
}

output "unhealthy" {
  value = [for member in data.sluice_load_balancer.found.members : member.address if member.status != "healthy"]
}
