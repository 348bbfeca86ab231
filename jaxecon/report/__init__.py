"""The report: one self-contained HTML file that a ministry can read, and the same content as data files."""

from jaxecon.report.write import write_report as write_report
