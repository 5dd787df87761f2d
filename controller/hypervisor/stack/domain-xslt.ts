/**
 * What the provider can't say of a domain, as the stylesheet that it applies to the domain's XML: a title, a serial
 * console whose words libvirt's log daemon appends to a file, no screen, and cloud-init's disk on a bus that q35 has. Pure. The provider replaces a domain whose
 * stylesheet is another, so a change here is one that is asked for by nobody: see judge-plan.ts.
 */

import type { DesiredDomain } from '../desired-domain.ts'

const escapeXml = (text: string) =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`).replace(/\p{Cc}/gu, ' ')

export const renderDomainXslt = ({ name, consoleLogPath }: Pick<DesiredDomain, 'name' | 'consoleLogPath'>): string =>
  `<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:template match="@*|node()">
    <xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy>
  </xsl:template>
  <xsl:template match="/domain/name">
    <xsl:copy-of select="."/>
    <title>${escapeXml(name)}</title>
  </xsl:template>
  <xsl:template match="/domain/devices/graphics"/>
  <xsl:template match="/domain/devices/disk[@device='cdrom']/target"><target dev="sda" bus="sata"/></xsl:template>
  <xsl:template match="/domain/devices">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
      <serial type="pty">
        <log append="on"><xsl:attribute name="file">${escapeXml(consoleLogPath)}</xsl:attribute></log>
        <target port="0"/>
      </serial>
      <console type="pty"><target type="serial" port="0"/></console>
    </xsl:copy>
  </xsl:template>
</xsl:stylesheet>
`
