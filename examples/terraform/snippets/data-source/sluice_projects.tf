data "sluice_projects" "all" {}
