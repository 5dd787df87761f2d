data "sluice_tokens" "of_shop" {
  project_id = data.sluice_project.found.id
}
