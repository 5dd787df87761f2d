resource "sluice_machine" "web" {
  count = 3

  name       = "web-${count.index + 1}"
  project_id = sluice_project.shop.id
  # Through the attachment: there are addresses once the shard is on the network.
  network_id = sluice_shard_attachment.front.network_id
  workloads  = [{ kind = "web", port = 80 }]
}
