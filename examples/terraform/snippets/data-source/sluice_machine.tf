data "sluice_machine" "found" {
  name       = "web-1"
  project_id = data.sluice_project.found.id
}
