"""The paper beside what was computed: each figure and claim of Pietschmann and Schlottbom, judged from stores.

The studies are those of ``config/paper``; ``make paper`` runs them and writes the page.
"""
